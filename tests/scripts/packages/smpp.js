// A short message centre, with smpp.
const smpp = require('smpp');

const server = smpp.createServer({}, (session) => {
  session.on('bind_transceiver', (pdu) => {
    console.log('bind', pdu.system_id, pdu.password);
    session.send(pdu.response());
  });
  session.on('submit_sm', (pdu) => {
    console.log('message', pdu.destination_addr, pdu.short_message);
    session.send(pdu.response({ message_id: '42' }));
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('close', () => console.log('closed'));
});
server.listen(process.env.PORT || 3111, '127.0.0.1', () => console.log('on', server.address().port));
