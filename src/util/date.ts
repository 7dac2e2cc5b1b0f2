// Written by hand, since at the first of its own dates, in UTC too, V8 reads the time zones: a megabyte that stays.

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Writes milliseconds since the Unix epoch as `2026-11-30T09:05:03.007Z` (RFC 3339), up to the year 9999. */
export function isoTime(ms: number): string {
  const date = new Date(ms);
  const day = `${digits(date.getUTCFullYear(), 4)}-${digits(date.getUTCMonth() + 1, 2)}-${digits(date.getUTCDate(), 2)}`;
  return `${day}T${timeOfDay(date)}.${digits(date.getUTCMilliseconds(), 3)}Z`;
}

let writtenSecond = Number.NaN;
let written = '';

/** Writes milliseconds since the Unix epoch as `Mon, 30 Nov 2026 09:05:03 GMT` (RFC 9110, section 5.6.7), up to the year 9999. */
export function httpDate(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== writtenSecond) {
    const date = new Date(second * 1000);
    const day = `${DAYS[date.getUTCDay()]}, ${digits(date.getUTCDate(), 2)} ${MONTHS[date.getUTCMonth()]}`;
    written = `${day} ${digits(date.getUTCFullYear(), 4)} ${timeOfDay(date)} GMT`;
    writtenSecond = second;
  }
  return written;
}

function timeOfDay(date: Date): string {
  return `${digits(date.getUTCHours(), 2)}:${digits(date.getUTCMinutes(), 2)}:${digits(date.getUTCSeconds(), 2)}`;
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0');
}
