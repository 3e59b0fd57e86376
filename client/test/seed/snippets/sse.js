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
