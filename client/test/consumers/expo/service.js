export default { baseUrl: 'https://example.com', basePath: '/api', accessToken: null };
