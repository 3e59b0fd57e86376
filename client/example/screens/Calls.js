import { StorageStatusPoller } from 'blob-status-client/native';
import { useEffect, useState } from 'react';
import { Pressable, StyleSheet, Text, View } from 'react-native';
import apiService from '../services/ApiService';

/** The three calls of the existing app; each returns, or has, a stop function. */
const calls = {
  'Long polling': (onUpdate) => apiService.startLongPolling(onUpdate),
  'Server-Sent Events': (onUpdate) => apiService.subscribeToStorageStatus(onUpdate),
  'Smart polling': (onUpdate) => {
    const poller = new StorageStatusPoller(apiService);
    poller.start(onUpdate);
    return () => poller.stop();
  },
};

export default function Calls() {
  const [name, setName] = useState('Long polling');
  const [heard, setHeard] = useState([]);

  useEffect(() => {
    setHeard([]);
    return calls[name]((status) => setHeard((before) => [status, ...before].slice(0, 5)));
  }, [name]);

  return (
    <View style={styles.box}>
      <View style={styles.row}>
        {Object.keys(calls).map((key) => (
          <Pressable
            key={key}
            accessibilityRole="button"
            accessibilityState={{ selected: key === name }}
            onPress={() => setName(key)}
            style={[styles.choice, key === name && styles.chosen]}
          >
            <Text style={styles.choiceText}>{key}</Text>
          </Pressable>
        ))}
      </View>
      {heard.map((status) => (
        <Text key={status.timestamp} style={styles.line}>
          {`${status.queued} · ${status.processing} · ${status.completed}   ${status.timestamp}`}
        </Text>
      ))}
    </View>
  );
}

const styles = StyleSheet.create({
  box: { padding: 16, borderRadius: 20, backgroundColor: 'rgba(255,255,255,0.8)' },
  row: { flexDirection: 'row', gap: 8, marginBottom: 12 },
  choice: { flex: 1, padding: 10, borderRadius: 12, backgroundColor: 'rgba(30,144,255,0.1)' },
  chosen: { backgroundColor: 'rgba(30,144,255,0.35)' },
  choiceText: { textAlign: 'center', fontSize: 12, fontWeight: '600', color: '#0047AB' },
  line: { fontSize: 12, color: '#444', fontVariant: ['tabular-nums'] },
});
