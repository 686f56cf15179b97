exports.EOL = '\r\n';
