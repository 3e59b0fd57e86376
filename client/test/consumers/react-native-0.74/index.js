import { AppRegistry } from 'react-native';
import { createStatusClient } from 'blob-status-client';
import { RealtimeStorageStatus } from 'blob-status-client/native';
import { useStorageStatus } from 'blob-status-client/react';

const client = createStatusClient({ baseUrl: 'https://example.com/api' });

function App() {
  const { state } = useStorageStatus(client);
  return <RealtimeStorageStatus source={client} testID={state} />;
}

AppRegistry.registerComponent('App', () => App);
