const alias = { 'react-native': 'react-native-web' };

export default {
  turbopack: { resolveAlias: alias, root: new URL('..', import.meta.url).pathname },
  webpack: (config) => {
    Object.assign(config.resolve.alias, alias);
    return config;
  },
};
