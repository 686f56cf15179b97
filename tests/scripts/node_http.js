// A server on `http`: heads, bodies and the order of events.
const http = require('http');
const server = http.createServer((req, res) => {
  res.sendDate = false;
  console.log(req.method, req.url, req.httpVersion, JSON.stringify(req.headers), req.rawHeaders.length);
  res.on('finish', () => console.log('finish', req.url));
  res.on('close', () => console.log('close', req.url));
  req.on('end', () => console.log('end', req.url, req.complete));
  req.on('aborted', () => console.log('aborted', req.url));
  if (req.url === '/hello') { res.statusCode = 200; res.setHeader('Content-Type', 'text/plain'); res.end('Hello, World!\n'); return; }
  if (req.url === '/head') { res.writeHead(200, { 'X-A': ['1', '2'] }); res.end('hi'); return; }
  if (req.url === '/chunks') { res.write('one'); setTimeout(() => { res.write('two'); res.end('three'); }, 20); return; }
  if (req.url === '/slow') { setTimeout(() => res.end('slow'), 60); return; }
  // Of these the client goes away before there is an answer, or before it is whole.
  if (req.url === '/silent') return;
  if (req.url === '/never') { res.write('begun'); return; }
  if (req.url === '/cork') { res.cork(); res.write('a'); res.end('b'); return; }
  if (req.url === '/204') { res.writeHead(204); res.end(); return; }
  if (req.url === '/empty') { res.end(); return; }
  if (req.url === '/throw') { try { res.setHeader('a b', '1'); } catch (e) { console.log(e.code, e.message); } try { res.setHeader('a', 'x\ny'); } catch (e) { console.log(e.code, e.message); } res.end(); try { res.setHeader('x', 1); } catch (e) { console.log(e.code, e.message); } return; }
  if (req.url === '/length') { let length = 0; req.on('data', (d) => { length += d.length; }); req.on('end', () => res.end(`${length}\n`)); return; }
  let n = 0; req.on('data', (d) => { n += d.length; console.log('data', String(d)); });
  req.on('end', () => res.end(`got ${n}\n`));
});
server.on('connection', (socket) => socket.on('close', () => console.log('gone')));
server.on('clientError', (e, s) => { console.log('clientError', e.code); s.end('HTTP/1.1 400 Bad Request\r\n\r\n'); });
server.listen(process.env.PORT || 3000, '127.0.0.1', () => console.log('on', server.address().port));
