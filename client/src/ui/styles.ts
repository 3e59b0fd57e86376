import { StyleSheet } from 'react-native';

/** Measures of the legend. Colours are the theme's. */
export const styles = StyleSheet.create({
  container: { borderRadius: 20, overflow: 'hidden', marginVertical: 16 },
  gradient: { padding: 20 },
  title: { fontSize: 16, fontWeight: '800', marginBottom: 16, textAlign: 'center' },
  statusRow: { flexDirection: 'row', justifyContent: 'space-around', alignItems: 'center' },
  statusItem: { alignItems: 'center', flex: 1 },
  statusDot: { width: 12, height: 12, borderRadius: 6, marginBottom: 8 },
  statusLabel: { fontSize: 12, fontWeight: '600', marginBottom: 4 },
  statusValue: { fontSize: 24, fontWeight: '900' },
  divider: { width: 1, height: 50 },
  liveIndicator: { flexDirection: 'row', alignItems: 'center', justifyContent: 'center', marginTop: 16, gap: 6 },
  liveDot: { width: 8, height: 8, borderRadius: 4 },
  liveText: { fontSize: 11, fontWeight: '700' },
  /** Numbers that nobody confirms at the moment. */
  unconfirmed: { opacity: 0.45 },
});
