import status = require('blob-status-client');
import react = require('blob-status-client/react');
import { fetch } from 'undici';

const client = status.createStatusClient({ baseUrl: 'https://example.com/api', fetch });
client.subscribe(({ queued }, { version }) => console.log(queued.toFixed(), version?.length));
react.clientOf(client).close();
