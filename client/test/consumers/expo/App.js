import { ScrollView } from 'react-native';
import Legend from './Legend';
import RealtimeStorageStatus from './components/RealtimeStorageStatus';
import './poller';
import './streaming';

/** The existing app's component beside the package's. */
export default function App() {
  return (
    <ScrollView>
      <RealtimeStorageStatus />
      <Legend />
    </ScrollView>
  );
}
