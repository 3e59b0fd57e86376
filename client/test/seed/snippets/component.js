// RealtimeStorageStatus.js
import React, { useState, useEffect } from 'react';
import { View, Text, StyleSheet, Animated } from 'react-native';
import { LinearGradient } from 'expo-linear-gradient';
import { BlurView } from 'expo-blur';
import apiService from '../services/ApiService';

export default function RealtimeStorageStatus() {
  const [status, setStatus] = useState({
    queued: 0,
    processing: 0,
    completed: 0,
  });
  const [pulseAnim] = useState(new Animated.Value(1));

  useEffect(() => {
    // Start polling
    const stopPolling = apiService.startLongPolling((newStatus) => {
      setStatus(newStatus);

      // Pulse animation on update
      Animated.sequence([
        Animated.timing(pulseAnim, {
          toValue: 1.1,
          duration: 150,
          useNativeDriver: true,
        }),
        Animated.timing(pulseAnim, {
          toValue: 1,
          duration: 150,
          useNativeDriver: true,
        }),
      ]).start();
    });

    return () => stopPolling();
  }, []);

  return (
    <BlurView intensity={80} tint="light" style={styles.container}>
      <LinearGradient
        colors={['rgba(255,255,255,0.95)', 'rgba(240,248,255,0.98)']}
        style={styles.gradient}
      >
        <Text style={styles.title}>📊 Storage Status (Live)</Text>

        <View style={styles.statusRow}>
          <Animated.View style={[styles.statusItem, { transform: [{ scale: pulseAnim }] }]}>
            <View style={[styles.statusDot, { backgroundColor: '#FFB74D' }]} />
            <Text style={styles.statusLabel}>Queued</Text>
            <Text style={styles.statusValue}>{status.queued}</Text>
          </Animated.View>

          <View style={styles.divider} />

          <Animated.View style={[styles.statusItem, { transform: [{ scale: pulseAnim }] }]}>
            <View style={[styles.statusDot, { backgroundColor: '#1E90FF' }]} />
            <Text style={styles.statusLabel}>Processing</Text>
            <Text style={styles.statusValue}>{status.processing}</Text>
          </Animated.View>

          <View style={styles.divider} />

          <Animated.View style={[styles.statusItem, { transform: [{ scale: pulseAnim }] }]}>
            <View style={[styles.statusDot, { backgroundColor: '#4CAF50' }]} />
            <Text style={styles.statusLabel}>Completed</Text>
            <Text style={styles.statusValue}>{status.completed}</Text>
          </Animated.View>
        </View>

        <View style={styles.liveIndicator}>
          <View style={styles.liveDot} />
          <Text style={styles.liveText}>Live Updates</Text>
        </View>
      </LinearGradient>
    </BlurView>
  );
}

const styles = StyleSheet.create({
  container: {
    borderRadius: 20,
    overflow: 'hidden',
    marginVertical: 16,
  },
  gradient: {
    padding: 20,
  },
  title: {
    fontSize: 16,
    fontWeight: '800',
    color: '#0047AB',
    marginBottom: 16,
    textAlign: 'center',
  },
  statusRow: {
    flexDirection: 'row',
    justifyContent: 'space-around',
    alignItems: 'center',
  },
  statusItem: {
    alignItems: 'center',
    flex: 1,
  },
  statusDot: {
    width: 12,
    height: 12,
    borderRadius: 6,
    marginBottom: 8,
  },
  statusLabel: {
    fontSize: 12,
    color: '#666',
    fontWeight: '600',
    marginBottom: 4,
  },
  statusValue: {
    fontSize: 24,
    fontWeight: '900',
    color: '#1E90FF',
  },
  divider: {
    width: 1,
    height: 50,
    backgroundColor: 'rgba(30, 144, 255, 0.2)',
  },
  liveIndicator: {
    flexDirection: 'row',
    alignItems: 'center',
    justifyContent: 'center',
    marginTop: 16,
    gap: 6,
  },
  liveDot: {
    width: 8,
    height: 8,
    borderRadius: 4,
    backgroundColor: '#4CAF50',
  },
  liveText: {
    fontSize: 11,
    color: '#4CAF50',
    fontWeight: '700',
  },
});
