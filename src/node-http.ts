/** Of `node:http`. An import of it loads undici as well, for `WebSocket` and its like: 2.4 MB of heap that stay. */
export const { Agent, createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http');
