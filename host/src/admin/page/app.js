const token = new URLSearchParams(location.hash.slice(1)).get('token');
const headers = token ? { authorization: `Bearer ${token}` } : {};
const answer = await fetch('/api/session', { headers });
document.querySelector('#session').textContent = await answer.text();
