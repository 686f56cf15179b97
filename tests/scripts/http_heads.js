// How long a head may be: the limit holds for each request of a connection, and for
// trailers, and not for bodies. Nobody listens to 'clientError'.
const http = require('http');
const server = http.createServer({ maxHeaderSize: 1024 }, (req, res) => {
  res.sendDate = false;
  let length = 0;
  req.on('error', (e) => console.log('error', e.code));
  req.on('data', (data) => { length += data.length; });
  req.on('end', () => res.end(`${req.url} ${length} ${req.rawTrailers}\n`));
  res.on('finish', () => console.log('answered', req.url));
});
server.on('connection', (socket) => socket.on('close', () => console.log('gone')));
server.listen(process.env.PORT || 3000, '127.0.0.1', () => console.log('on', server.address().port));
