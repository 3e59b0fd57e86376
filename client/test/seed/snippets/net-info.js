import NetInfo from '@react-native-community/netinfo';

NetInfo.addEventListener(state => {
  if (state.isConnected) {
    // Adjust polling interval based on connection type
    const interval = state.type === 'wifi' ? 2000 : 5000;
    startPolling(interval);
  } else {
    stopPolling();
  }
});
