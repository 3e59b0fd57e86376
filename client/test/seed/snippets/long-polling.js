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
