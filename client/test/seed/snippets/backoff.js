let retryDelay = 1000;
const maxRetryDelay = 30000;

const pollWithBackoff = async () => {
  try {
    await poll();
    retryDelay = 1000; // Reset on success
  } catch (error) {
    retryDelay = Math.min(retryDelay * 2, maxRetryDelay);
    setTimeout(pollWithBackoff, retryDelay);
  }
};
