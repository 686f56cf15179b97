// A mail sink, with smtp-server.
const { SMTPServer } = require('smtp-server');

const smtp = new SMTPServer({
  name: 'mx.example', banner: 'hello', authOptional: true, disableReverseLookup: true, disabledCommands: ['STARTTLS'],
  onMailFrom(address, session, done) {
    console.log('from', address.address);
    done();
  },
  onData(stream, session, done) {
    let text = '';
    stream.on('data', (data) => { text += data; });
    stream.on('end', () => {
      console.log('message', JSON.stringify(text));
      done(null, 'queued');
    });
  },
  onClose() { console.log('closed'); },
});
smtp.listen(process.env.PORT || 3112, '127.0.0.1', () => console.log('on', smtp.server.address().port));
