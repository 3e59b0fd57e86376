import { AppState } from 'react-native';

useEffect(() => {
  const subscription = AppState.addEventListener('change', (state) => {
    if (state === 'background') {
      stopPolling(); // Stop saat app di background
    } else if (state === 'active') {
      startPolling(); // Resume saat app active
    }
  });

  return () => subscription.remove();
}, []);
