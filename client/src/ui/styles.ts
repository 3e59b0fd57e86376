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
  liveText: { fontSize: 11, fontWeight: '700', flexShrink: 1 },
});

/** Where the columns are too narrow: one under the other, the label at the left and the number at the right. */
export const stacked = StyleSheet.create({
  statusRow: { flexDirection: 'column', alignItems: 'stretch' },
  statusItem: {
    flexDirection: 'row',
    flexWrap: 'wrap',
    flexGrow: 0,
    flexShrink: 0,
    flexBasis: 'auto',
    columnGap: 10,
    paddingVertical: 6,
  },
  statusDot: { marginBottom: 0 },
  statusLabel: { flexGrow: 1, marginBottom: 0 },
  statusValue: { marginLeft: 'auto', textAlign: 'right' },
  divider: { width: '100%', height: 1 },
});

export const extras = StyleSheet.create({
  /** "as of 15:56" and "no progress for 10 min", beside the indicator's words. */
  detail: { fontWeight: '500' },
  progress: { marginTop: 16, gap: 6 },
  progressTexts: { flexDirection: 'row', flexWrap: 'wrap', justifyContent: 'space-between', columnGap: 12 },
  progressText: { fontSize: 12, fontWeight: '600' },
  track: { height: 6, borderRadius: 3, overflow: 'hidden' },
  bar: { height: 6, borderRadius: 3 },
  button: {
    alignSelf: 'center',
    justifyContent: 'center',
    minHeight: 44,
    marginTop: 12,
    paddingHorizontal: 20,
    paddingVertical: 8,
    borderWidth: 1,
    borderRadius: 22,
  },
  buttonText: { fontSize: 14, fontWeight: '700', textAlign: 'center' },
  /** There for screen readers only. */
  onlyHeard: { position: 'absolute', width: 1, height: 1, margin: -1, overflow: 'hidden' },
});
