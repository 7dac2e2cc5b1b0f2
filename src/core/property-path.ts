/**
 * Splits a dot-separated property path into property names (appendices, Dot-separated property paths). `\.` and `\\`
 * are a literal dot and backslash; any other escape is left as it stands, backslash included.
 */
export function parsePropertyPath(path: string): readonly string[] {
  if (!path.includes('\\')) return path.split('.');
  const names: string[] = [];
  let name = '';
  for (let i = 0; i < path.length; i++) {
    const char = path[i]!;
    const next = path[i + 1];
    if (char === '\\' && (next === '.' || next === '\\')) {
      name += next;
      i++;
    } else if (char === '.') {
      names.push(name);
      name = '';
    } else {
      name += char;
    }
  }
  names.push(name);
  return names;
}
