import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{core,http}/**/*.test.ts'],
    testTimeout: 20_000,
    restoreMocks: true,
    unstubGlobals: true,
  },
});
