"""Find where a handler changes a variable of its module: `own_copies.py FILE…` prints a
line for each variable.

In a server that serves all connections that variable would be one for all of them. Here
each connection has its own copy (see docs/python.md). Looked at are the functions and
classes of each file; what its top level does is done once, in the build."""

import ast
import os
import sys

# Methods that change a list, a set or a dict.
CHANGES = {
    "append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "add",
    "discard", "update", "setdefault", "popitem", "appendleft", "popleft",
}  # fmt: skip
CONTAINERS = {"list", "dict", "set", "defaultdict", "deque", "OrderedDict", "Counter"}
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def containers(module):
    """The names of the top level that hold a container made there."""
    found = set()
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        made = isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp))
        if isinstance(value, ast.Call):
            function = value.func
            made = getattr(function, "id", getattr(function, "attr", None)) in CONTAINERS
        if made:
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def root(node):
    """The name that an expression is a part of."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def own_names(function):
    """What a function calls by a name of its own, and what it declares as global."""
    args = function.args
    own = {arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg) if arg}
    declared = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Global):
            declared |= set(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
    return own - declared, declared


def look(node, held, hidden, declared, found):
    """Note the first line at which each name is changed. `held` are names of containers
    of the module, `hidden` those that mean something else here."""
    for child in ast.iter_child_nodes(node):
        inner, names = hidden, declared
        if isinstance(child, SCOPES):
            own, more = own_names(child)
            inner, names = (hidden - more) | own, declared | more
        changed = []
        if isinstance(child, (ast.Name, ast.Attribute, ast.Subscript)) and not isinstance(child.ctx, ast.Load):
            name = root(child)
            if name in (declared if isinstance(child, ast.Name) else held - hidden):
                changed.append(name)
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in CHANGES:
            name = root(child.func.value)
            if name in held - hidden:
                changed.append(name)
        for name in changed:
            found.setdefault(name, child.lineno)
        look(child, held, inner, names, found)


for path in sys.argv[1:]:
    # Packages have their own reasons.
    if "site-packages" in path.split(os.sep):
        continue
    try:
        with open(path, "rb") as file:
            module = ast.parse(file.read())
    except (SyntaxError, ValueError):
        continue
    found = {}
    for node in module.body:
        if isinstance(node, (*SCOPES, ast.ClassDef)):
            # In a module of its own, so that the function's names are looked at, too.
            look(ast.Module([node], []), containers(module), set(), set(), found)
    for name, line in found.items():
        print(
            f"{os.path.basename(path)}:{line}: `{name}` is changed for a connection, and every "
            "connection has its own copy of it, so no other one sees the change; "
            "docs/topics.md shows how connections meet"
        )
