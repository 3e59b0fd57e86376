const alias = { 'react-native': 'react-native-web' };

export default {
  turbopack: { resolveAlias: alias },
  webpack: (config) => {
    Object.assign(config.resolve.alias, alias);
    return config;
  },
};
