import { defineConfig } from 'vitest/config';

/** Apps of other people, made of the packed package: on React Native and on the web, side by side. */
export default defineConfig({
  test: {
    include: ['test/consumers/*.test.ts'],
    globalSetup: 'test/consumers/pack.ts',
    maxWorkers: 2,
    testTimeout: 600_000,
  },
});
