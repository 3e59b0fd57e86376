import { defineConfig } from 'vitest/config';

/** The HTTP and browser tests against the real stack. */
export default defineConfig({
  test: {
    include: ['test/{http,browser}/**/*.test.ts'],
    globalSetup: 'test/support/stack-setup.ts',
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 30_000,
  },
});
