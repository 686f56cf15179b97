//! Counts what a component consists of, before anything is validated or compiled.
//!
//! A component may instantiate another one that it contains, any number of times,
//! and the compiler flattens that: it lists every instance of every module. So a
//! few kilobytes, in which each component instantiates the one before it twice,
//! stand for 2⁴⁰ instances. They are counted here by adding, not by listing.
//!
//! The size of functions is not looked at. What compiling them costs is bounded
//! in the process that does it (see [`crate::compiler`]).

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentTypeRef, Instance, Parser, Payload,
};

use crate::component::LoadError;

/// Modules and components that a component contains, at any depth. Those of
/// `hotsocket build` contain 3 to 60.
const MAX_PARTS: u64 = 1000;
/// Instances of modules and components that one instance of the component
/// consists of. The pool of instances has room for as many modules
/// (`max_core_instances_per_component`).
const MAX_INSTANCES: u64 = 1000;

/// Refuse a component with too many parts, or too many instances of them. Bytes
/// that cannot be parsed pass: the validator says what is wrong with them.
///
/// # Errors
/// When there are too many, or when they cannot be counted.
pub fn check(bytes: &[u8]) -> Result<(), LoadError> {
    let Ok(counted) = count(bytes) else {
        return Ok(());
    };
    if counted.parts > MAX_PARTS {
        return Err(LoadError::TooManyParts { max: MAX_PARTS });
    }
    match counted.instances {
        None => Err(LoadError::UncountableParts),
        Some(count) if count > MAX_INSTANCES => Err(LoadError::TooManyInstances {
            count,
            max: MAX_INSTANCES,
        }),
        Some(_) => Ok(()),
    }
}

/// How many instances it takes to instantiate a component once. `None` if that
/// depends on components that it gets from elsewhere: imported ones, and exports
/// of its instances. No known tool makes such components.
type Instances = Option<u64>;

struct Counted {
    parts: u64,
    instances: Instances,
}

/// A module or component whose sections are being read.
enum Scope {
    Module,
    Component {
        instances: Instances,
        /// The index space of components: what each of them takes.
        components: Vec<Instances>,
    },
}

impl Scope {
    fn component() -> Self {
        Scope::Component {
            instances: Some(1),
            components: Vec::new(),
        }
    }

    fn add_instances(&mut self, more: Instances) {
        if let Scope::Component { instances, .. } = self {
            let both = instances.zip(more);
            *instances = both.map(|(before, more)| before.saturating_add(more));
        }
    }

    fn add_component(&mut self, takes: Instances) {
        if let Scope::Component { components, .. } = self {
            components.push(takes);
        }
    }

    /// What a component of the index space takes; an index out of range is the
    /// validator's business.
    fn component_at(&self, index: u32) -> Instances {
        match self {
            Scope::Component { components, .. } => {
                components.get(index as usize).copied().unwrap_or(Some(0))
            }
            Scope::Module => Some(0),
        }
    }
}

/// Ends early when there are too many parts.
fn count(bytes: &[u8]) -> Result<Counted, BinaryReaderError> {
    let mut counted = Counted {
        parts: 0,
        instances: Some(0),
    };
    let mut outer: Vec<Scope> = Vec::new();
    let mut scope = Scope::component();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } => {
                counted.parts += 1;
                outer.push(std::mem::replace(&mut scope, Scope::Module));
            }
            Payload::ComponentSection { .. } => {
                counted.parts += 1;
                outer.push(std::mem::replace(&mut scope, Scope::component()));
            }
            Payload::End(_) => {
                let Some(parent) = outer.pop() else { continue };
                let ended = std::mem::replace(&mut scope, parent);
                if let Scope::Component { instances, .. } = ended {
                    scope.add_component(instances);
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { .. } = instance? {
                        scope.add_instances(Some(1));
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate {
                        component_index, ..
                    } = instance?
                    {
                        let takes = scope.component_at(component_index);
                        scope.add_instances(takes);
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if let Some(takes) = aliased(&alias?, &scope, &outer) {
                        scope.add_component(takes);
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    if let ComponentTypeRef::Component(_) = import?.ty {
                        scope.add_component(None);
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    // An export is one more item of its index space.
                    if export.kind == ComponentExternalKind::Component {
                        let takes = scope.component_at(export.index);
                        scope.add_component(takes);
                    }
                }
            }
            _ => {}
        }
        if counted.parts > MAX_PARTS {
            return Ok(counted);
        }
    }
    if let Scope::Component { instances, .. } = scope {
        counted.instances = instances;
    }
    Ok(counted)
}

/// What the component behind an alias takes; `None` if it is no component.
fn aliased(alias: &ComponentAlias<'_>, scope: &Scope, outer: &[Scope]) -> Option<Instances> {
    match *alias {
        ComponentAlias::InstanceExport {
            kind: ComponentExternalKind::Component,
            ..
        } => Some(None),
        ComponentAlias::Outer {
            kind: ComponentOuterAliasKind::Component,
            count,
            index,
        } => {
            let mut scopes = std::iter::once(scope).chain(outer.iter().rev());
            let scope = scopes.nth(count as usize);
            Some(scope.map_or(Some(0), |scope| scope.component_at(index)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), LoadError> {
        check(&wat::parse_str(text).expect("WAT"))
    }

    /// Each of so many components instantiates the one before it twice.
    fn doubling(times: u32) -> String {
        let level = |level: u32| {
            let before = level.checked_sub(1).map_or(String::new(), |before| {
                let alias = format!("(alias outer 1 {before} (component $c))");
                format!("{alias} (instance (instantiate $c)) (instance (instantiate $c))")
            });
            format!("(component {before})")
        };
        let levels: String = (0..=times).map(level).collect();
        format!("(component {levels} (instance (instantiate {times})))")
    }

    #[test]
    fn instances_of_nested_components_are_counted() {
        // 2ⁿ⁺¹ − 1 of the nested ones, and the component itself.
        assert_eq!(checked(&doubling(8)), Ok(()));
        let too_many = |count| {
            Err(LoadError::TooManyInstances {
                count,
                max: MAX_INSTANCES,
            })
        };
        assert_eq!(checked(&doubling(9)), too_many(1024));
        assert_eq!(checked(&doubling(40)), too_many(1 << 41));
        assert_eq!(checked(&doubling(80)), too_many(u64::MAX));
    }

    #[test]
    fn instances_of_modules_are_counted() {
        let many = |count: usize| {
            let instances = "(core instance (instantiate $m))".repeat(count);
            format!("(component (core module $m) {instances})")
        };
        assert_eq!(checked(&many(999)), Ok(()));
        assert!(matches!(
            checked(&many(1000)),
            Err(LoadError::TooManyInstances { count: 1001, .. })
        ));
    }

    #[test]
    fn parts_at_any_depth_are_counted() {
        let modules = |count: usize| format!("(component {})", "(core module)".repeat(count));
        assert_eq!(checked(&modules(1000)), Ok(()));
        let too_many = Err(LoadError::TooManyParts { max: MAX_PARTS });
        assert_eq!(checked(&modules(1001)), too_many);
        let nested = |count: usize| {
            let inner = format!("(component {})", "(core module)".repeat(count));
            format!("(component {inner} {inner})")
        };
        assert_eq!(checked(&nested(499)), Ok(()));
        assert_eq!(checked(&nested(500)), too_many);
    }

    #[test]
    fn what_depends_on_an_argument_is_refused_only_if_it_is_instantiated() {
        let imported = r#"(component $a (import "c" (component $c)) "#;
        assert_eq!(checked(&format!("{imported})")), Ok(()));
        let refused = Err(LoadError::UncountableParts);
        let twice = "(instance (instantiate $c)) (instance (instantiate $c))";
        assert_eq!(checked(&format!("{imported} {twice})")), refused);
        let exported = r#"(component
            (component $a (component $c) (export "c" (component $c)))
            (instance $a (instantiate $a))
            (alias export $a "c" (component $c))
            (instance (instantiate $c)))"#;
        assert_eq!(checked(exported), refused);
    }

    #[test]
    fn bytes_that_are_no_component_are_left_to_the_validator() {
        for bytes in [&b""[..], b"text", b"\0asm\x0d\0\x01\0\x04\xff"] {
            assert_eq!(check(bytes), Ok(()));
        }
    }
}
