// Finds where a script's connection callback changes a variable of the top level.
//
// In Node that variable is one for all connections. Here each connection has its own copy
// (see docs/javascript.md), so a list of all sockets has one entry: the build warns. Looked
// at are the script and its own modules, not packages: the functions that are called for a
// connection, what is defined in them, and the top level's functions and classes that they
// name. A name is resolved by scope, so a local one of the same name is no change.
import * as acorn from 'acorn';

// Methods that change an array, a Map or a Set; and those by which a listener is added.
const CHANGES = /^(push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|add|set|delete|clear)$/;
const LISTENS = /^(on|once|addListener|prependListener|prependOnceListener)$/;
const CONTAINERS = /^(Array|Map|Set|WeakMap|WeakSet|Object)$/;
const FUNCTION = /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/;
const CLASS = /^Class(Declaration|Expression)$/;
// An alias of an alias ends here.
const MOST_STEPS = 8;

const parse = (text) => {
  const options = { ecmaVersion: 'latest', locations: true, allowHashBang: true, allowReturnOutsideFunction: true };
  try {
    return acorn.parse(text, { ...options, sourceType: 'module' });
  } catch {
    return acorn.parse(text, { ...options, sourceType: 'script' });
  }
};

function* children(node) {
  for (const [key, value] of Object.entries(node)) {
    if (key === 'loc') continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one?.type === 'string') yield one;
    }
  }
}

// ---- scopes: each node that has one gets `scope`, a map from a name to its binding

function* namesIn(pattern) {
  if (pattern === null) return;
  switch (pattern.type) {
    case 'Identifier': yield pattern.name; break;
    case 'ObjectPattern': for (const one of pattern.properties) yield* namesIn(one.value ?? one.argument); break;
    case 'ArrayPattern': for (const one of pattern.elements) yield* namesIn(one); break;
    case 'AssignmentPattern': yield* namesIn(pattern.left); break;
    case 'RestElement': yield* namesIn(pattern.argument); break;
  }
}

function declare(scope, name, init, isTop) {
  const known = scope.get(name);
  if (known === undefined) scope.set(name, { name, inits: init ? [init] : [], isTop });
  else if (init) known.inits.push(init);
}

function addScopes(node, block, func, isTop) {
  const opens = (at) => { at.scope = new Map(); return at.scope; };
  if (FUNCTION.test(node.type)) {
    if (node.type === 'FunctionDeclaration' && node.id) declare(block, node.id.name, node, isTop);
    block = func = opens(node);
    isTop = false;
    if (node.type === 'FunctionExpression' && node.id) declare(block, node.id.name, node, false);
    for (const param of node.params) for (const name of namesIn(param)) declare(block, name, undefined, false);
  } else if (CLASS.test(node.type)) {
    if (node.type === 'ClassDeclaration' && node.id) declare(block, node.id.name, node, isTop);
  } else if (/^(BlockStatement|For(In|Of)?Statement|SwitchStatement|CatchClause|StaticBlock)$/.test(node.type)) {
    // In a block of the top level `var` is still the top level's.
    block = opens(node);
    if (node.param) for (const name of namesIn(node.param)) declare(block, name, undefined, false);
  } else if (node.type === 'VariableDeclaration') {
    const scope = node.kind === 'var' ? func : block;
    for (const { id, init } of node.declarations) {
      for (const name of namesIn(id)) declare(scope, name, id.type === 'Identifier' ? init : init && { ...init, picked: name }, scope.isTop);
    }
  } else if (node.type === 'ImportDeclaration') {
    for (const { local, imported } of node.specifiers) {
      declare(block, local.name, { type: 'Import', source: node.source.value, picked: imported?.name }, true);
    }
  } else if (node.type === 'AssignmentExpression' && node.left.type === 'Identifier' && func.isTop) {
    // Declared without a value, and given one further down.
    block.get(node.left.name)?.inits.push(node.right);
  }
  for (const child of children(node)) addScopes(child, block, func, isTop && block.isTop);
}

// ---- one file

class File {
  constructor(path, text, lineOf) {
    this.path = path;
    this.lineOf = lineOf;
    this.tree = parse(text);
    this.top = new Map();
    this.top.isTop = true;
    addScopes(this.tree, this.top, this.top, true);
  }

  // What a module gives under this name.
  exported(name) {
    for (const node of this.tree.body) {
      if (node.type === 'ExportNamedDeclaration') {
        const found = node.specifiers.find(({ exported }) => exported.name === name);
        if (found) return this.top.get(found.local.name);
        if (node.declaration && (node.declaration.id?.name === name
          || node.declaration.declarations?.some(({ id }) => id.name === name))) return this.top.get(name);
      }
      const { left, right } = node.expression ?? {};
      if (left?.type !== 'MemberExpression') continue;
      const value = left.property.name === name ? right
        : left.property.name === 'exports' && right.properties?.find(({ key }) => key?.name === name)?.value;
      if (value) return value.type === 'Identifier' ? this.top.get(value.name) : { name, inits: [value], isTop: true };
    }
    return undefined;
  }
}

// ---- what is done for a connection

class Search {
  found = new Map();

  // `module(file, name)` gives the file that a file asks for by this name, if it is the script's own.
  constructor(module) { this.module = module; }

  // The functions that are called with a connection.
  entries(file) {
    const look = (node, scopes) => {
      scopes = node.scope ? [node.scope, ...scopes] : scopes;
      if (/^(Call|New)Expression$/.test(node.type)) {
        const name = node.callee.property?.name ?? node.callee.name;
        const listens = LISTENS.test(name) && ['connection', 'request'].includes(node.arguments[0]?.value);
        if (listens || name === 'createServer' || name === 'Server') {
          for (const argument of node.arguments) this.#enter(argument, { file, scopes });
        }
      }
      for (const child of children(node)) look(child, scopes);
    };
    look(file.tree, [file.top]);
  }

  // A function or class, or a name of one: look at what it does.
  #enter(node, at) {
    if (FUNCTION.test(node.type) || CLASS.test(node.type)) {
      const key = at.self ?? this;
      node.seenFor ??= new Set();
      if (node.seenFor.has(key)) return;
      node.seenFor.add(key);
      this.#look(node, at);
    } else if (node.type === 'Identifier') {
      const binding = this.#resolve(node.name, at);
      if (binding?.isTop) for (const init of binding.inits) this.#enterOf(init, binding, at);
    }
  }

  #enterOf(init, binding, at) {
    const file = binding.file ?? at.file;
    if (FUNCTION.test(init.type) || CLASS.test(init.type)) this.#enter(init, { file, scopes: [file.top] });
  }

  // The binding of a name, through imports of the script's own modules.
  #resolve(name, { file, scopes }) {
    const binding = scopes.find((scope) => scope.has(name))?.get(name);
    const init = binding?.inits[0];
    const source = init?.type === 'Import' ? init.source
      : init?.callee?.name === 'require' ? init.arguments[0]?.value : undefined;
    if (!binding?.isTop || source === undefined) return binding;
    const other = this.module(file, source);
    if (other === undefined) return { ...binding, isForeign: true };
    const exported = init.picked && other.exported(init.picked);
    return exported ? { ...exported, file: other } : { ...binding, module: other };
  }

  // The variable of the top level that an expression is, or is a part of.
  #root(node, at, steps = 0) {
    if (node === undefined || steps > MOST_STEPS) return undefined;
    switch (node.type) {
      case 'ThisExpression': return at.self;
      case 'MemberExpression': return this.#root(node.object, at, steps + 1);
      case 'ChainExpression': return this.#root(node.expression, at, steps + 1);
      case 'LogicalExpression': return this.#root(node.left, at, steps + 1);
      case 'CallExpression': return /^(get|at)$/.test(node.callee.property?.name) ? this.#root(node.callee.object, at, steps + 1) : undefined;
      case 'Identifier': {
        const binding = this.#resolve(node.name, at);
        if (binding === undefined || binding.isTop) return binding;
        return binding.inits.length === 1 && binding.inits[0].type !== 'Identifier' && !binding.inits[0].picked
          ? this.#root(binding.inits[0], at, steps + 1) : undefined;
      }
      default: return undefined;
    }
  }

  // Whether it holds what the script itself has made there.
  #isOwn(binding, at, wanted) {
    if (binding.isForeign) return false;
    if (binding.module) return true;
    return binding.inits.some((init) => wanted.test(this.#kind(init, { ...at, scopes: [(binding.file ?? at.file).top] })));
  }

  #kind(init, at) {
    if (init.type === 'ObjectExpression' || init.type === 'ArrayExpression') return 'container';
    if (CLASS.test(init.type)) return init.superClass?.name === 'EventEmitter' ? 'container emitter' : 'container';
    if (init.type === 'CallExpression') return init.callee.object?.name === 'Object' && init.callee.property.name === 'create' ? 'container' : 'call';
    if (init.type !== 'NewExpression') return 'other';
    const name = init.callee.property?.name ?? init.callee.name;
    if (name === 'EventEmitter') return 'emitter';
    if (CONTAINERS.test(name)) return 'container';
    const made = this.#resolve(name, at)?.inits[0];
    return made && CLASS.test(made.type) ? this.#kind(made, at) : 'other';
  }

  #report(binding, node, { file }) {
    if (binding && !this.found.has(binding.name)) {
      this.found.set(binding.name, { name: binding.name, path: file.path, line: file.lineOf(node.loc.start.line) });
    }
  }

  // Something is assigned to this, or it is deleted.
  #assigned(target, at, isLazy) {
    if (target.type === 'Identifier') {
      const binding = this.#resolve(target.name, at);
      // `found ??= …` makes a value when it is needed first.
      if (binding?.isTop && !isLazy) this.#report(binding, target, at);
    } else if (target.type === 'MemberExpression') {
      const binding = this.#root(target, at);
      if (binding?.isTop && this.#isOwn(binding, at, /container|other/)) this.#report(binding, target, at);
    } else {
      for (const child of children(target)) this.#assigned(child.value ?? child, at, isLazy);
    }
  }

  #look(node, at) {
    if (node.scope) at = { ...at, scopes: [node.scope, ...at.scopes] };
    // Another `this`, but for arrow functions and the method that was entered.
    switch (node.type) {
      case 'AssignmentExpression': this.#assigned(node.left, at, /^(\?\?|\|\|)=$/.test(node.operator)); break;
      case 'UpdateExpression': this.#assigned(node.argument, at); break;
      case 'UnaryExpression': if (node.operator === 'delete') this.#assigned(node.argument, at); break;
      case 'CallExpression': this.#called(node, at); break;
      case 'Identifier': this.#enter(node, at); break;
    }
    for (const child of children(node)) {
      // Names of properties are no names of variables.
      if (child === node.property && !node.computed) continue;
      if (child === node.key && !node.computed && !node.shorthand) continue;
      this.#look(child, child.type === 'FunctionExpression' && node.type !== 'MethodDefinition' ? { ...at, self: undefined } : at);
    }
  }

  #called({ callee }, at) {
    if (callee.type === 'ChainExpression') callee = callee.expression;
    if (callee.type !== 'MemberExpression' || callee.computed) return;
    const binding = this.#root(callee.object, at);
    if (!binding?.isTop) return;
    const method = callee.property.name;
    const changes = CHANGES.test(method) && this.#isOwn(binding, at, /container/);
    const listens = LISTENS.test(method) && this.#isOwn(binding, at, /emitter/);
    if (changes || listens) this.#report(binding, callee, at);
    // A method of an object or a class of the top level: what it does with `this`.
    const file = binding.module ?? binding.file ?? at.file;
    const inside = { file, scopes: [file.top], self: binding };
    const exported = binding.module?.exported(method);
    for (const init of exported?.inits ?? []) this.#enter(init, inside);
    for (const init of binding.inits) {
      const made = init.type === 'NewExpression' && init.callee.type === 'Identifier'
        ? this.#resolve(init.callee.name, inside)?.inits[0] : init;
      const members = made?.properties ?? made?.body?.body ?? [];
      const member = Array.isArray(members) ? members.find(({ key }) => key?.name === method) : undefined;
      if (member?.value && FUNCTION.test(member.value.type)) this.#enter(member.value, inside);
    }
  }
}

// `files`: path, text, `lineOf` (where a line of the text is in the file), and `imports`,
// from the names that it asks for to the paths of other files here. Gives the name, path
// and line of each variable's first change, in the order in which they are found.
export function changedCopies(files) {
  const parsed = new Map();
  for (const { path, text, lineOf, imports } of files) {
    try {
      parsed.set(path, Object.assign(new File(path, text, lineOf), { imports }));
    } catch (error) {
      // Of a syntax that is not known here; the build has its own parser.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  const search = new Search((file, source) => parsed.get(file.imports.get(source)));
  for (const file of parsed.values()) search.entries(file);
  return [...search.found.values()];
}
