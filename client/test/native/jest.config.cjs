const path = require('node:path');

module.exports = {
  preset: 'jest-expo',
  rootDir: __dirname,
  testMatch: ['<rootDir>/*.test.tsx'],
  // The sources import each other as the built files do, with ".js"; the app's import is the package's own name.
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^blob-status-client$': path.join(__dirname, '../../src/index.ts'),
    '^blob-status-client/native$': path.join(__dirname, '../../src/native/index.ts'),
  },
  transform: {
    '\\.[jt]sx?$': [
      'babel-jest',
      { presets: ['babel-preset-expo'], caller: { name: 'metro', bundler: 'metro', platform: 'ios' } },
    ],
  },
  transformIgnorePatterns: [
    '/node_modules/(?!((jest-)?react-native|@react-native(-community)?|expo|@expo)/|expo-|eventsource-parser)',
  ],
  // The first test of a file transforms half of React Native when nothing is cached.
  testTimeout: 60_000,
  restoreMocks: true,
};
