import { RealtimeStorageStatus } from 'blob-status-client/native';
import { LinearGradient } from 'expo-linear-gradient';
import { ScrollView, StyleSheet, useColorScheme } from 'react-native';
import Calls from './screens/Calls';
import apiService from './services/ApiService';

export default function App() {
  const scheme = useColorScheme();
  return (
    <LinearGradient colors={scheme === 'dark' ? ['#10294d', '#0b111c'] : ['#cfe3ff', '#e3f4e6']} style={styles.page}>
      <ScrollView contentContainerStyle={styles.content}>
        <RealtimeStorageStatus source={apiService} theme={scheme === 'dark' ? 'dark' : 'light'} />
        <RealtimeStorageStatus source={apiService} locale="id" pulse="all" />
        <Calls />
      </ScrollView>
    </LinearGradient>
  );
}

const styles = StyleSheet.create({
  page: { flex: 1 },
  content: { padding: 20, paddingTop: 64 },
});
