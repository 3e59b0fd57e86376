import { withStorageStatus } from 'blob-status-client/native';

/** The app's own service, as it was before: where the API lives and who is signed in. */
const apiService = {
  // From a phone, the address of the machine that runs the API; with a scheme it is taken as it is.
  baseUrl: process.env.EXPO_PUBLIC_API_HOST ?? 'http://10.0.2.2:7071',
  basePath: '/api',
  accessToken: process.env.EXPO_PUBLIC_ACCESS_TOKEN ?? null,
};

withStorageStatus(apiService);

export default apiService;
