/** A source file to look at. */
export interface Source {
  /** Relative to `src`, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** An `import` or `export … from` of a source file. */
export interface Import {
  readonly from: string;
  /** Names as the other module exports them; empty for a side effect or a namespace. */
  readonly names: readonly string[];
  readonly line: number;
}

const WORD_BEFORE_REGEX = /(?:^|[\n(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|yield|await))\s*$/;

/**
 * The code with comments and the insides of strings, templates' text and regular expressions blanked by spaces. Length and lines stay,
 * so that places found in it are places in the file. Code inside `${}` of templates stays.
 */
export function codeOnly(text: string): string {
  const out = [...text];
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to && i < out.length; i++) if (text[i] !== '\n') out[i] = ' ';
  };
  const chars = text;
  /** For each open template expression, how many braces are open in it. */
  const templates: number[] = [];
  let i = 0;
  const quoted = (quote: string): void => {
    const from = i + 1;
    for (i++; i < chars.length && chars[i] !== quote && chars[i] !== '\n'; i++) if (chars[i] === '\\') i++;
    blank(from, i);
    i++;
  };
  const template = (): void => {
    const from = i;
    for (; i < chars.length && chars[i] !== '`'; i++) {
      if (chars[i] === '\\') i++;
      else if (chars[i] === '$' && chars[i + 1] === '{') {
        blank(from, i);
        templates.push(0);
        i += 2;
        return;
      }
    }
    blank(from, i);
    i++;
  };
  const regex = (): void => {
    const from = i + 1;
    let inClass = false;
    for (i++; i < chars.length && chars[i] !== '\n'; i++) {
      if (chars[i] === '\\') i++;
      else if (chars[i] === '[') inClass = true;
      else if (chars[i] === ']') inClass = false;
      else if (chars[i] === '/' && !inClass) break;
    }
    blank(from, i);
    i++;
  };
  while (i < chars.length) {
    const c = chars[i]!;
    const depth = templates.at(-1);
    if (chars.startsWith('//', i)) {
      const end = chars.indexOf('\n', i);
      blank(i, end < 0 ? chars.length : end);
      i = end < 0 ? chars.length : end;
    } else if (chars.startsWith('/*', i)) {
      const end = chars.indexOf('*/', i + 2);
      blank(i, end < 0 ? chars.length : end + 2);
      i = end < 0 ? chars.length : end + 2;
    } else if (c === "'" || c === '"') quoted(c);
    else if (c === '`') {
      i++;
      template();
    } else if (c === '/' && WORD_BEFORE_REGEX.test(out.slice(Math.max(0, i - 40), i).join(''))) regex();
    else if (depth !== undefined && c === '}' && depth === 0) {
      templates.pop();
      i++;
      template();
    } else {
      if (depth !== undefined && c === '{') templates[templates.length - 1] = depth + 1;
      if (depth !== undefined && c === '}') templates[templates.length - 1] = depth - 1;
      i++;
    }
  }
  return out.join('');
}

/** Number of the line, from 1, that holds the character at `index`. */
export function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** What a file imports: static, re-exported and dynamic. */
export function importsOf(text: string): Import[] {
  const code = codeOnly(text);
  const found: Import[] = [];
  const statement = /\b(?:import|export)\b([^;'"`]*?)\bfrom\s*(['"])|\b(?:import|require)\s*\(?\s*(['"])/g;
  for (const match of code.matchAll(statement)) {
    const open = match.index + match[0].length;
    const quote = match[2] ?? match[3]!;
    const from = text.slice(open, code.indexOf(quote, open));
    const braces = /\{([^}]*)\}/.exec(match[1] ?? '')?.[1] ?? '';
    const names = braces
      .split(',')
      .map((name) =>
        name
          .trim()
          .replace(/^type\s+/, '')
          .replace(/\s+as\s+.*$/, ''),
      )
      .filter((name) => name !== '');
    found.push({ from, names, line: lineOf(text, match.index) });
  }
  return found;
}
