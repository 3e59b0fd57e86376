import { defineConfig } from 'vitest/config';

export default defineConfig({
  // For the component on the web.
  resolve: { alias: { 'react-native': 'react-native-web' } },
  test: {
    include: ['test/{core,http}/**/*.test.ts'],
    testTimeout: 20_000,
    restoreMocks: true,
    unstubGlobals: true,
  },
});
