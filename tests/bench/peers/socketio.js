// Node socket.io: every "say" goes to everybody as "said". `node socketio.js PORT`
const { createServer } = require('node:http');
const { Server } = require('socket.io');

const http = createServer();
const server = new Server(http, { transports: ['websocket'], perMessageDeflate: false, serveClient: false, pingInterval: 3600000 });

server.on('connection', (socket) => {
  socket.on('say', (text) => server.emit('said', text));
});
http.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });
