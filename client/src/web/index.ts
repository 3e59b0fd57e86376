/**
 * For the web, by react-native-web (alias `react-native` to it in the bundler). No Expo package is needed.
 *
 * @packageDocumentation
 */
export * from '../index.js';
export * from '../react/index.js';
export * from '../ui/index.js';
export * from './legend.js';
