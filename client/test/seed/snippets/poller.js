// ApiService.js
class StorageStatusPoller {
  constructor(apiService) {
    this.apiService = apiService;
    this.lastETag = null;
    this.pollingInterval = null;
  }

  start(onUpdate, intervalMs = 3000) {
    this.pollingInterval = setInterval(async () => {
      try {
        const response = await fetch(
          `https://${this.apiService.baseUrl}${this.apiService.basePath}/cases/storage/status`,
          {
            headers: {
              'Authorization': `Bearer ${this.apiService.accessToken}`,
              'If-None-Match': this.lastETag || '',
            }
          }
        );

        if (response.status === 304) {
          // No changes, do nothing
          console.log('[Polling] No changes detected');
          return;
        }

        if (response.ok) {
          this.lastETag = response.headers.get('ETag');
          const data = await response.json();
          onUpdate(data);
        }
      } catch (error) {
        console.error('[Polling] Error:', error);
      }
    }, intervalMs);
  }

  stop() {
    if (this.pollingInterval) {
      clearInterval(this.pollingInterval);
      this.pollingInterval = null;
    }
  }
}
