import { createStatusClient } from 'blob-status-client';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import App from './App.jsx';
import { Queued } from './Queued.jsx';

const client = createStatusClient({ baseUrl: 'https://example.com/api' });

createRoot(document.getElementById('root')).render(
  <StrictMode>
    <App />
    <Queued client={client} />
  </StrictMode>,
);
