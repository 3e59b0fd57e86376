/* An app's own service with the methods that it has today. Two lines were added; they are marked. */
import { withStorageStatus } from 'blob-status-client'; // added

class ApiService {
  baseUrl = 'status.test';
  basePath = '/api';
  accessToken = 'secret';

  buildUrl(path) {
    return `https://${this.baseUrl}${this.basePath}${path}`;
  }

  async fetchData({ method, url }) {
    const response = await fetch(url, { method, headers: { Authorization: `Bearer ${this.accessToken}` } });
    return response.json();
  }

  // ApiService.js
  async startLongPolling(onStatusUpdate, intervalMs = 3000) {
    let isPolling = true;

    const poll = async () => {
      if (!isPolling) return;

      try {
        const response = await this.fetchData({
          method: 'GET',
          url: this.buildUrl('/cases/storage/status'),
          timeout: 30000, // Long timeout untuk hold connection
        });

        if (response.success && onStatusUpdate) {
          onStatusUpdate({
            queued: response.data.queued_count,
            processing: response.data.input_count,
            completed: response.data.output_count,
            timestamp: response.data.timestamp,
          });
        }

        // Immediate next poll
        setTimeout(poll, 100);
      } catch (error) {
        console.error('[Long Polling] Error:', error);
        // Retry after interval on error
        setTimeout(poll, intervalMs);
      }
    };

    poll();

    // Return stop function
    return () => { isPolling = false; };
  }

  // ApiService.js
  subscribeToStorageStatus(onStatusUpdate) {
    const url = `https://${this.baseUrl}${this.basePath}/cases/storage/status/stream`;
    const eventSource = new EventSource(url, {
      headers: {
        'Authorization': `Bearer ${this.accessToken}`
      }
    });

    eventSource.onmessage = (event) => {
      const data = JSON.parse(event.data);
      onStatusUpdate(data);
    };

    eventSource.onerror = (error) => {
      console.error('[SSE] Error:', error);
      eventSource.close();
    };

    // Return unsubscribe function
    return () => eventSource.close();
  }
}

const apiService = new ApiService();
withStorageStatus(apiService); // added

export default apiService;
