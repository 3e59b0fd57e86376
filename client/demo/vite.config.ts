import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { demoBackend } from './backend/plugin.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('.'),
  base: './',
  plugins: [demoBackend()],
  resolve: {
    alias: {
      'react-native': 'react-native-web',
      'blob-status-client/web': here('../src/web/index.ts'),
    },
    // The sources beside this folder find their packages here, so that the page installs by itself.
    dedupe: ['eventsource-parser', 'react', 'react-dom', 'react-native-web'],
    extensions: ['.web.tsx', '.web.ts', '.web.js', '.tsx', '.ts', '.mjs', '.js', '.json'],
  },
  define: {
    global: 'globalThis',
    __DEV__: JSON.stringify(process.env.NODE_ENV !== 'production'),
    'process.env.EXPO_OS': JSON.stringify('web'),
  },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      // react-native-web marks its modules "use client", which means nothing here.
      onLog(level, log, handle) {
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handle(level, log);
      },
    },
  },
});
