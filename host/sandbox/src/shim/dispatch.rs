//! Calls through a module's own table of functions become jumps.
//!
//! A trait object's method or a callback is called by its number in a table. An
//! instance that does so holds a page of memory, 4 KiB, for the few pointers of
//! that table, and 32 bytes more for each function in it. But the table of a
//! linked program never changes. So each type of such calls gets a function that
//! jumps to the one with the number, in place of the table: a tail call, which
//! leaves no frame.
//!
//! A number that has no function, or one of another type, is still looked up in
//! the table, and fails as before; for that the table keeps its length and one or
//! two functions, at which every type finds one that is not its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, ElementSection, Elements, Function,
    FunctionSection, Instruction, Module, TypeSection, ValType,
};
use wasmparser::{
    CustomSectionReader, ElementItems, ElementKind, ExternalKind, FuncType, Operator,
    OperatorsReader, Parser, Payload, RefType, TableInit, TypeRef,
};

use super::types;

/// Longer tables stay: the code to jump grows with their length, times the number
/// of types.
const LONGEST: usize = 256;
/// What a function may have; one is added.
const MOST_PARAMS: usize = 1000;

/// The module with jumps; `None` if it calls nothing by number, or if its table
/// may change or be seen by others.
pub(super) fn without_table(module: &[u8]) -> Option<Vec<u8>> {
    let mut table = Table::of(module)?;
    let mut out = Module::new();
    utils::parse_core_module(&mut table, &mut out, Parser::new(0), module).ok()?;
    Some(out.finish())
}

/// A module's table and who calls through it.
struct Table {
    types: Vec<FuncType>,
    /// For each type the first one that is the same.
    same: Vec<u32>,
    /// The type of each function, those that are imported first.
    functions: Vec<u32>,
    /// The function of each number.
    entries: Vec<Option<u32>>,
    /// The types that are called, each with the number of its new function,
    /// counted from the first new one.
    called: HashMap<u32, u32>,
    /// The same in order.
    order: Vec<u32>,
    /// Numbers that stay in the table: two functions of different types, or one.
    kept: Vec<usize>,
}

impl Table {
    fn of(module: &[u8]) -> Option<Self> {
        let mut table = Table {
            types: Vec::new(),
            same: Vec::new(),
            functions: Vec::new(),
            entries: Vec::new(),
            called: HashMap::new(),
            order: Vec::new(),
            kept: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload.ok()? {
                Payload::TypeSection(section) => {
                    table.types = types(section)?.0;
                    table.same = same(&table.types);
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import.ok()?.ty {
                            TypeRef::Func(of) => table.functions.push(of),
                            TypeRef::Memory(_) | TypeRef::Global(_) => {}
                            _ => return None,
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for of in section {
                        table.functions.push(of.ok()?);
                    }
                }
                Payload::TableSection(section) => table.declare(section)?,
                Payload::ExportSection(section) => {
                    for export in section {
                        if export.ok()?.kind == ExternalKind::Table {
                            return None;
                        }
                    }
                }
                Payload::ElementSection(section) => table.fill(section)?,
                Payload::CodeSectionEntry(body) => {
                    let mut operators = body.get_operators_reader().ok()?;
                    while !operators.eof() {
                        table.note(&operators.read().ok()?)?;
                    }
                }
                _ => {}
            }
        }
        let is_number = |of: &wasmparser::ValType| !matches!(of, wasmparser::ValType::Ref(_));
        let plain = |of: &FuncType| of.params().iter().chain(of.results()).all(is_number);
        // Whether references fit is not for us to say.
        if table.order.is_empty() || !table.types.iter().all(plain) {
            return None;
        }
        // At most, in bytes. What comes out must not be many times what went in.
        let mut more = 0_usize;
        for of in &table.order {
            let of = table.types.get(*of as usize)?;
            let (params, results) = (of.params().len(), of.results().len());
            if params >= MOST_PARAMS {
                return None;
            }
            more += table.entries.len() * (3 * params + 9) + 6 * params + results + 40;
        }
        if more > module.len() {
            return None;
        }
        let first = table.entries.iter().position(Option::is_some)?;
        let of_first = table.type_at(first)?;
        let differs = |number: &usize| table.type_at(*number).is_some_and(|of| of != of_first);
        let other = (first..table.entries.len()).find(differs);
        table.kept = [Some(first), other].into_iter().flatten().collect();
        Some(table)
    }

    fn declare(&mut self, section: wasmparser::TableSectionReader<'_>) -> Option<()> {
        let mut tables = section.into_iter();
        let only = tables.next()?.ok()?;
        let length = usize::try_from(only.ty.initial).ok()?;
        let is_plain = only.ty.element_type == RefType::FUNCREF
            && matches!(only.init, TableInit::RefNull)
            && !only.ty.table64
            && !only.ty.shared;
        if tables.next().is_some() || !is_plain || length > LONGEST {
            return None;
        }
        self.entries = vec![None; length];
        Some(())
    }

    fn fill(&mut self, section: wasmparser::ElementSectionReader<'_>) -> Option<()> {
        for segment in section {
            let segment = segment.ok()?;
            let ElementKind::Active { offset_expr, .. } = segment.kind else {
                return None;
            };
            let mut offset = offset_expr.get_operators_reader();
            let Operator::I32Const { value } = offset.read().ok()? else {
                return None;
            };
            let ElementItems::Functions(functions) = segment.items else {
                return None;
            };
            if !matches!(offset.read().ok()?, Operator::End) {
                return None;
            }
            let from = usize::try_from(value).ok()?;
            let to = from.checked_add(functions.count() as usize)?;
            for (entry, function) in self.entries.get_mut(from..to)?.iter_mut().zip(functions) {
                *entry = Some(function.ok()?);
            }
        }
        Some(())
    }

    /// What one instruction does with the table.
    fn note(&mut self, operator: &Operator<'_>) -> Option<()> {
        match operator {
            Operator::CallIndirect {
                type_index,
                table_index: 0,
            } => {
                let of = *self.same.get(*type_index as usize)?;
                let next = u32::try_from(self.order.len()).ok()?;
                if let Entry::Vacant(new) = self.called.entry(of) {
                    new.insert(next);
                    self.order.push(of);
                }
                Some(())
            }
            Operator::CallIndirect { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::RefFunc { .. }
            | Operator::TableGet { .. }
            | Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableSize { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. } => None,
            _ => Some(()),
        }
    }

    /// The type of the function with this number.
    fn type_at(&self, number: usize) -> Option<u32> {
        let function = (*self.entries.get(number)?)?;
        let of = *self.functions.get(function as usize)?;
        self.same.get(of as usize).copied()
    }

    /// The function that takes the place of calls of a type. Its last parameter
    /// is the number.
    fn jump(&self, of: u32) -> Option<Function> {
        let params = self.types.get(of as usize)?.params().len();
        let params = u32::try_from(params).ok()?;
        // Blocks from the inside out: one for each function of the type, then one
        // for numbers with functions of others.
        let mut targets: Vec<u32> = Vec::new();
        let mut places = Vec::new();
        for (number, entry) in self.entries.iter().enumerate() {
            places.push(match *entry {
                Some(function) if self.type_at(number) == Some(of) => {
                    let known = targets.iter().position(|target| *target == function);
                    Some(known.unwrap_or_else(|| {
                        targets.push(function);
                        targets.len() - 1
                    }))
                }
                _ => None,
            });
        }
        let depth = |at: usize| u32::try_from(at).ok();
        let (mismatch, nothing) = (depth(targets.len())?, depth(targets.len() + 1)?);
        let other = |number: &&usize| self.type_at(**number) != Some(of);
        let other = self.kept.iter().find(other).copied();
        let labels: Vec<u32> = places
            .iter()
            .zip(&self.entries)
            .map(|(place, entry)| match place {
                Some(at) => depth(*at),
                None if entry.is_some() => Some(mismatch),
                None => Some(nothing),
            })
            .collect::<Option<_>>()?;

        let mut function = Function::new([]);
        let mut code = function.instructions();
        for _ in 0..targets.len() + 2 {
            code.block(BlockType::Empty);
        }
        code.local_get(params).br_table(labels, nothing);
        for target in targets {
            code.end();
            for param in 0..params {
                code.local_get(param);
            }
            code.return_call(target);
        }
        code.end();
        if let Some(other) = other {
            for param in 0..params {
                code.local_get(param);
            }
            code.i32_const(i32::try_from(other).ok()?);
            code.return_call_indirect(0, of);
        } else {
            // All are of this type, so nothing comes here.
            code.unreachable();
        }
        code.end();
        for param in 0..=params {
            code.local_get(param);
        }
        code.return_call_indirect(0, of).end();
        Some(function)
    }
}

/// For each type the first one that is the same.
fn same(types: &[FuncType]) -> Vec<u32> {
    let mut first = HashMap::new();
    (0..)
        .zip(types)
        .map(|(at, of)| *first.entry(of).or_insert(at))
        .collect()
}

type Copied = Result<(), reencode::Error>;

/// The whole is dropped then, so which one it is doesn't matter.
const ODD: reencode::Error = reencode::Error::UnexpectedNonCoreModuleSection;

/// Copies the module, with jumps.
impl Reencode for Table {
    type Error = std::convert::Infallible;

    fn parse_type_section(
        &mut self,
        out: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Copied {
        utils::parse_type_section(self, out, section)?;
        for of in &self.order {
            let called = self.types.get(*of as usize).ok_or(ODD)?;
            let called = wasm_encoder::FuncType::try_from(called.clone())?;
            let mut params = called.params().to_vec();
            params.push(ValType::I32);
            out.ty().function(params, called.results().to_vec());
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        out: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Copied {
        utils::parse_function_section(self, out, section)?;
        let types = self.types.len();
        for at in 0..self.order.len() {
            out.function(u32::try_from(types + at).map_err(|_| ODD)?);
        }
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        out: &mut ElementSection,
        _: wasmparser::ElementSectionReader<'_>,
    ) -> Copied {
        for number in &self.kept {
            let function = self.entries.get(*number).copied().flatten();
            let offset = ConstExpr::i32_const(i32::try_from(*number).map_err(|_| ODD)?);
            let functions = Elements::Functions(vec![function.ok_or(ODD)?].into());
            out.active(None, &offset, functions);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        out: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Copied {
        utils::parse_code_section(self, out, section)?;
        for of in &self.order {
            out.function(&self.jump(*of).ok_or(ODD)?);
        }
        Ok(())
    }

    fn parse_instruction<'a>(
        &mut self,
        reader: &mut OperatorsReader<'a>,
    ) -> Result<Instruction<'a>, reencode::Error> {
        let instruction = utils::parse_instruction(self, reader)?;
        let Instruction::CallIndirect { type_index, .. } = instruction else {
            return Ok(instruction);
        };
        let of = self.same.get(type_index as usize).ok_or(ODD)?;
        let at = self.called.get(of).copied().ok_or(ODD)?;
        let functions = u32::try_from(self.functions.len()).map_err(|_| ODD)?;
        Ok(Instruction::Call(functions + at))
    }

    /// As it is: functions keep their numbers, so they keep their names.
    fn parse_custom_section(
        &mut self,
        out: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> Copied {
        out.section(&CustomSection {
            name: section.name().into(),
            data: section.data().into(),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
