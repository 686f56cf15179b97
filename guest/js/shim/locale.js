// Numbers and dates in words as Node writes them in English: what scripts log. There is
// no `Intl`, and other languages are written in English, too.
'use strict';

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ',');

function number(value, options = {}) {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value < 0 ? '-∞' : '∞';
  const percent = options.style === 'percent';
  const least = options.minimumFractionDigits ?? 0;
  const most = options.maximumFractionDigits ?? Math.max(least, percent ? 0 : 3);
  const [whole, fraction = ''] = Math.abs(percent ? value * 100 : value).toFixed(most).split('.');
  let rest = fraction;
  while (rest.length > least && rest.endsWith('0')) rest = rest.slice(0, -1);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  return sign + (options.useGrouping === false ? whole : grouped(whole)) + (rest === '' ? '' : `.${rest}`) + (percent ? '%' : '');
}

const two = (value) => String(value).padStart(2, '0');
const dateOf = (date) => `${date.getMonth() + 1}/${date.getDate()}/${date.getFullYear()}`;
function timeOf(date, { hour12 = true } = {}) {
  const rest = `${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const hours = date.getHours();
  return hour12 ? `${hours % 12 || 12}:${rest} ${hours < 12 ? 'AM' : 'PM'}` : `${two(hours)}:${rest}`;
}
const dated = (make) => function (locale, options) {
  return Number.isNaN(this.getTime()) ? 'Invalid Date' : make(this, options);
};

const put = (object, methods) => {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
  }
};
put(Number.prototype, { toLocaleString(locale, options) { return number(Number(this), options); } });
put(BigInt.prototype, { toLocaleString() { return (this < 0n ? '-' : '') + grouped(String(this < 0n ? -this : this)); } });
put(Date.prototype, {
  toLocaleDateString: dated(dateOf),
  toLocaleTimeString: dated(timeOf),
  toLocaleString: dated((date, options) => `${dateOf(date)}, ${timeOf(date, options)}`),
});
