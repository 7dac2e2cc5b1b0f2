// The least that a server in Node can be: takes a request, reads JSON where there is some, and answers with JSON.
import { createServer } from 'node:http';

const ANSWER = JSON.stringify({ user_id: '@someone:localhost', device_id: 'ABCDEFGHIJ', is_guest: false });

createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (chunks.length > 0) JSON.parse(Buffer.concat(chunks).toString());
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': ANSWER.length });
    response.end(ANSWER);
  });
}).listen(Number(process.env['PORT']), '127.0.0.1');
