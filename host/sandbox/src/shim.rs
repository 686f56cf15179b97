//! Joins a component's modules without a table.
//!
//! What a guest imports is lowered with the guest's own memory, which exists
//! only after the guest's module does, which wants its imports. So
//! `wit-component` gives the module functions of a *shim* that jump through a
//! table, and a *fixup* module fills the table in when both exist. Each instance
//! then holds a page of memory, 4 KiB, for a few pointers.
//!
//! Here the shim has a global for each function instead of the table; globals
//! lie among wasmtime's own data about the instance. In the other modules of such
//! a component exports go that nobody uses ([`exports`]), and calls through tables
//! become jumps ([`dispatch`]). What doesn't look exactly like this stays as it is.
//!
//! The layout is that of `wit-component`'s `encode_shim_instantiation`.

mod dispatch;
mod exports;

use std::collections::{HashMap, HashSet};

use wasm_encoder::reencode::{self, Reencode, ReencodeComponent, RoundtripReencoder};
use wasm_encoder::{
    Alias, CodeSection, Component, ComponentAliasSection, ConstExpr, ElementSection, Elements,
    EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    HeapType, ImportSection, InstanceSection, Module, RawSection, RefType, StartSection,
    TypeSection, ValType,
};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ElementItems, ElementKind,
    ExternalKind, FuncType, Instance, Operator, Parser, Payload, TableInit, TypeRef,
};

/// Of what is made here, for who keeps code compiled from it.
pub const VERSION: u32 = 3;

/// What the shim calls its table.
const TABLE: &str = "$imports";

/// The component without such tables, or `None` if it has none.
pub fn without_table(component: &[u8]) -> Option<Vec<u8>> {
    let joints = Joints::find(component)?;
    let mut out = Component::new();
    let mut rewrite = Rewrite {
        joints: &joints,
        modules: 0,
    };
    rewrite
        .parse_component(&mut out, Parser::new(0), component)
        .ok()?;
    Some(out.finish())
}

/// A component's shim and fixup.
struct Joints {
    /// The modules that change, by their numbers, as they shall be.
    modules: HashMap<u32, Vec<u8>>,
    /// The instance of the shim.
    shim: u32,
    /// How many functions it has.
    functions: u32,
}

impl Joints {
    fn find(component: &[u8]) -> Option<Self> {
        let mut depth = 0_u32;
        let mut modules: Vec<&[u8]> = Vec::new();
        let mut instances = Vec::new();
        let mut tables = Vec::new();
        let mut exports = Vec::new();
        // Names of what modules have that the component or another module uses.
        let mut used = HashSet::new();
        // What modules import, and which of that is another module's whole instance.
        let (mut imports, mut whole) = (Vec::new(), HashSet::new());
        for payload in Parser::new(0).parse_all(component) {
            match payload.ok()? {
                Payload::ModuleSection {
                    unchecked_range, ..
                } => {
                    if depth == 0 {
                        modules.push(component.get(unchecked_range)?);
                    }
                    depth += 1;
                }
                Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::InstanceSection(section) if depth == 0 => {
                    for instance in section {
                        instances.push(match instance.ok()? {
                            Instance::Instantiate { module_index, args } => {
                                let of = |index: u32| instances.get(index as usize).copied();
                                let of_modules =
                                    args.iter().filter(|arg| of(arg.index).flatten().is_some());
                                whole.extend(of_modules.map(|arg| (module_index, arg.name)));
                                Some(module_index)
                            }
                            Instance::FromExports(of) => {
                                let of = of.iter();
                                let is_table = |export: &&wasmparser::Export<'_>| {
                                    export.kind == ExternalKind::Table
                                };
                                exports.extend(of.filter(is_table).map(|of| (of.name, of.index)));
                                None
                            }
                        });
                    }
                }
                Payload::ImportSection(section) => {
                    let number = u32::try_from(modules.len()).ok()?.checked_sub(1);
                    for import in section.into_imports() {
                        let import = import.ok()?;
                        match number {
                            Some(number) if depth == 1 => {
                                imports.push(((number, import.module), import.name));
                            }
                            _ => drop(used.insert(import.name)),
                        }
                    }
                }
                Payload::ComponentAliasSection(section) => {
                    for alias in section {
                        let alias = alias.ok()?;
                        // Modules from elsewhere would have numbers, too.
                        if depth == 0 && is_module(&alias) {
                            return None;
                        }
                        if let ComponentAlias::CoreInstanceExport {
                            kind,
                            instance_index,
                            name,
                        } = alias
                        {
                            used.insert(name);
                            match kind {
                                _ if depth > 0 => {}
                                ExternalKind::Table => tables.push((instance_index, name)),
                                // Their numbers would change.
                                ExternalKind::Global => return None,
                                _ => {}
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        // What is written must not grow faster than what was read, and a table
        // that goes anywhere else is still needed.
        let ([(shim, TABLE)], [(TABLE, 0)]) = (&tables[..], &exports[..]) else {
            return None;
        };
        let shim = *shim;
        let shim_module = instances.get(shim as usize).copied()??;
        // Were there another instance of it, its table would be missed.
        if instances
            .iter()
            .filter(|of| **of == Some(shim_module))
            .count()
            != 1
        {
            return None;
        }
        let (new_shim, types) = shim_with_globals(modules.get(shim_module as usize)?)?;
        let mut found = modules
            .iter()
            .zip(0..)
            .filter_map(|(module, number)| Some((number, fixup_of_globals(module, &types)?)));
        let fixup = found.next()?;
        if found.next().is_some() {
            return None;
        }
        imports.retain(|(from, _)| whole.contains(from));
        used.extend(imports.iter().map(|(_, name)| *name));
        let mut changed = HashMap::from([(shim_module, new_shim), fixup]);
        for (number, module) in (0..).zip(&modules) {
            if changed.contains_key(&number) {
                continue;
            }
            let mut lighter = exports::without_unused(module, &used);
            let jumps = dispatch::without_table(lighter.as_deref().unwrap_or(module));
            lighter = jumps.or(lighter);
            changed.extend(lighter.map(|module| (number, module)));
        }
        Some(Joints {
            modules: changed,
            shim,
            functions: u32::try_from(types.len()).ok()?,
        })
    }
}

fn is_module(alias: &ComponentAlias<'_>) -> bool {
    matches!(
        alias,
        ComponentAlias::InstanceExport {
            kind: ComponentExternalKind::Module,
            ..
        } | ComponentAlias::Outer {
            kind: ComponentOuterAliasKind::CoreModule,
            ..
        }
    )
}

/// A global that holds a function of a module's type.
fn global(type_index: u32) -> GlobalType {
    GlobalType {
        val_type: ValType::Ref(RefType {
            nullable: true,
            heap_type: HeapType::Concrete(type_index),
        }),
        mutable: true,
        shared: false,
    }
}

/// What a global of the shim is called.
fn name(number: usize) -> String {
    format!("{TABLE}{number}")
}

/// The types of a module, functions all, and their section to be copied.
fn types(section: wasmparser::TypeSectionReader<'_>) -> Option<(Vec<FuncType>, TypeSection)> {
    let mut copy = TypeSection::new();
    RoundtripReencoder
        .parse_type_section(&mut copy, section.clone())
        .ok()?;
    let functions = section.into_iter_err_on_gc_types();
    Some((functions.collect::<Result<_, _>>().ok()?, copy))
}

/// The shim anew, and the types of its functions.
fn shim_with_globals(module: &[u8]) -> Option<(Vec<u8>, Vec<FuncType>)> {
    let (mut known, mut copy) = (Vec::new(), TypeSection::new());
    let mut of = Vec::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    let (mut bodies, mut has_table) = (0_usize, false);
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::TypeSection(section) => (known, copy) = types(section)?,
            Payload::FunctionSection(section) => {
                of = section.into_iter().collect::<Result<_, _>>().ok()?;
            }
            Payload::TableSection(section) => {
                let table = section.into_iter().next()?.ok()?;
                has_table =
                    matches!(table.init, TableInit::RefNull) && table.ty.initial == of.len() as u64;
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    match export.kind {
                        ExternalKind::Func => {
                            exports.export(export.name, ExportKind::Func, export.index);
                        }
                        ExternalKind::Table if export.name == TABLE => {}
                        _ => return None,
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let type_index = *of.get(bodies)?;
                let params = known.get(type_index as usize)?.params().len();
                let mut operators = body.get_operators_reader().ok()?.into_iter();
                let mut function = Function::new([]);
                for param in 0..u32::try_from(params).ok()? {
                    match operators.next()?.ok()? {
                        Operator::LocalGet { local_index } if local_index == param => {
                            function.instructions().local_get(param);
                        }
                        _ => return None,
                    }
                }
                let number = u32::try_from(bodies).ok()?;
                let is_jump = matches!(operators.next()?.ok()?, Operator::I32Const { value } if u32::try_from(value) == Ok(number))
                    && matches!(operators.next()?.ok()?, Operator::CallIndirect { type_index: to, table_index: 0 } if to == type_index)
                    && matches!(operators.next()?.ok()?, Operator::End)
                    && operators.next().is_none();
                if !is_jump {
                    return None;
                }
                let mut instructions = function.instructions();
                instructions.global_get(number).call_ref(type_index).end();
                code.function(&function);
                bodies += 1;
            }
            Payload::Version { .. } | Payload::CodeSectionStart { .. } | Payload::End(_) => {}
            Payload::CustomSection(_) => {}
            _ => return None,
        }
    }
    if !has_table || bodies != of.len() {
        return None;
    }
    let (mut functions, mut globals) = (FunctionSection::new(), GlobalSection::new());
    for (number, type_index) in of.iter().enumerate() {
        functions.function(*type_index);
        let nothing = ConstExpr::ref_null(HeapType::Concrete(*type_index));
        globals.global(global(*type_index), &nothing);
        let index = u32::try_from(number).ok()?;
        exports.export(&name(number), ExportKind::Global, index);
    }
    let mut module = Module::new();
    module
        .section(&copy)
        .section(&functions)
        .section(&globals)
        .section(&exports)
        .section(&code);
    let types = of.iter().map(|index| known.get(*index as usize).cloned());
    Some((module.finish(), types.collect::<Option<_>>()?))
}

/// The fixup anew, if the module is the one for a shim with these functions.
fn fixup_of_globals(module: &[u8], shim: &[FuncType]) -> Option<Vec<u8>> {
    let (mut known, mut copy) = (Vec::new(), TypeSection::new());
    let mut imports = ImportSection::new();
    // The types of the imported functions.
    let mut of = Vec::new();
    let mut has_table = false;
    let mut elements: Vec<u32> = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::TypeSection(section) => (known, copy) = types(section)?,
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.ok()?;
                    match import.ty {
                        TypeRef::Func(index) => {
                            imports.import(import.module, import.name, EntityType::Function(index));
                            of.push(index);
                        }
                        TypeRef::Table(_) if (import.module, import.name) == ("", TABLE) => {
                            has_table = true;
                        }
                        _ => return None,
                    }
                }
            }
            Payload::ElementSection(section) => {
                let mut segments = section.into_iter();
                let segment = segments.next()?.ok()?;
                let ElementKind::Active { offset_expr, .. } = segment.kind else {
                    return None;
                };
                let mut offset = offset_expr.get_operators_reader();
                let (offset, end) = (offset.read().ok()?, offset.read().ok()?);
                let ElementItems::Functions(functions) = segment.items else {
                    return None;
                };
                let at_0 = matches!(
                    (offset, end),
                    (Operator::I32Const { value: 0 }, Operator::End)
                );
                if !at_0 || segments.next().is_some() {
                    return None;
                }
                elements = functions.into_iter().collect::<Result<_, _>>().ok()?;
            }
            Payload::Version { .. } | Payload::CustomSection(_) | Payload::End(_) => {}
            _ => return None,
        }
    }
    if !has_table || elements.len() != shim.len() {
        return None;
    }
    let mut start = Function::new([]);
    for (number, (element, expected)) in elements.iter().zip(shim).enumerate() {
        let type_index = *of.get(*element as usize)?;
        if known.get(type_index as usize)? != expected {
            return None;
        }
        imports.import("", &name(number), EntityType::Global(global(type_index)));
        let mut instructions = start.instructions();
        instructions.ref_func(*element);
        instructions.global_set(u32::try_from(number).ok()?);
    }
    start.instructions().end();
    let nothing = u32::try_from(known.len()).ok()?;
    copy.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(nothing);
    let mut declared = ElementSection::new();
    declared.declared(Elements::Functions(elements.into()));
    let mut code = CodeSection::new();
    code.function(&start);
    let mut module = Module::new();
    module
        .section(&copy)
        .section(&imports)
        .section(&functions)
        .section(&StartSection {
            function_index: u32::try_from(of.len()).ok()?,
        })
        .section(&declared)
        .section(&code);
    Some(module.finish())
}

/// Copies a component, with other joints.
struct Rewrite<'a> {
    joints: &'a Joints,
    modules: u32,
}

impl Reencode for Rewrite<'_> {
    type Error = std::convert::Infallible;
}

impl ReencodeComponent for Rewrite<'_> {
    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _: Parser,
        module: &[u8],
    ) -> Result<(), reencode::Error> {
        let new = self.joints.modules.get(&self.modules);
        self.modules += 1;
        // The others as they are, down to their names.
        component.section(&RawSection {
            id: wasm_encoder::ComponentSectionId::CoreModule.into(),
            data: new.map_or(module, Vec::as_slice),
        });
        Ok(())
    }

    /// Whatever is in there, and however deep.
    fn parse_component_subcomponent(
        &mut self,
        component: &mut Component,
        _: Parser,
        inner: &[u8],
        _: &[u8],
    ) -> Result<(), reencode::Error> {
        component.section(&RawSection {
            id: wasm_encoder::ComponentSectionId::Component.into(),
            data: inner,
        });
        Ok(())
    }

    fn parse_component_alias_section(
        &mut self,
        aliases: &mut ComponentAliasSection,
        section: wasmparser::ComponentAliasSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        for alias in section {
            match alias? {
                ComponentAlias::CoreInstanceExport {
                    kind: ExternalKind::Table,
                    ..
                } => {
                    for number in 0..self.joints.functions {
                        aliases.alias(Alias::CoreInstanceExport {
                            instance: self.joints.shim,
                            kind: ExportKind::Global,
                            name: &name(number as usize),
                        });
                    }
                }
                other => {
                    aliases.alias(self.component_alias(other)?);
                }
            }
        }
        Ok(())
    }

    fn parse_instance(
        &mut self,
        instances: &mut InstanceSection,
        instance: Instance<'_>,
    ) -> Result<(), reencode::Error> {
        let Instance::FromExports(exports) = &instance else {
            return reencode::component_utils::parse_instance(self, instances, instance);
        };
        let is_table = |export: &wasmparser::Export<'_>| export.kind == ExternalKind::Table;
        if !exports.iter().any(is_table) {
            return reencode::component_utils::parse_instance(self, instances, instance);
        }
        let mut items = Vec::new();
        for export in exports {
            if is_table(export) {
                let globals = 0..self.joints.functions;
                items.extend(
                    globals.map(|number| (name(number as usize), ExportKind::Global, number)),
                );
            } else {
                let kind = self.export_kind(export.kind)?;
                items.push((export.name.to_owned(), kind, export.index));
            }
        }
        instances.export_items(items);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
