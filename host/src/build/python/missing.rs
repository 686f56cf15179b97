//! What to do about a module that the guest's interpreter has not found: most are packages
//! from PyPI, which come from a virtual environment.

use std::path::Path;

/// A line for the author, if that is what went wrong.
pub(super) fn cure(errors: &str, file: &Path, venv: Option<&Path>) -> Option<String> {
    let last = errors.trim_end().lines().next_back()?;
    let module = last
        .strip_prefix("ModuleNotFoundError: No module named '")?
        .split(['.', '\''])
        .next()?;
    // Of what is there, a part is missing.
    let dir = std::path::absolute(file).ok()?.parent()?.to_owned();
    let is_here = dir.join(module).exists() || dir.join(format!("{module}.py")).exists();
    if is_here || module == "hotsocket" || module.is_empty() {
        return None;
    }
    Some(match venv {
        Some(venv) => format!(
            "`{module}` is neither in {} nor in the virtual environment {}: if it is a package, `pip install {module}`",
            dir.display(),
            venv.display()
        ),
        None => format!(
            "`{module}` is not in {}, and no virtual environment is active: if it is a package, \
             `python3 -m venv .venv`, `. .venv/bin/activate`, `pip install {module}`, and build again",
            dir.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_to_be_installed() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("own.py"), "").expect("written");
        let file = dir.path().join("guest.py");
        let cure = |module: &str, venv: Option<&str>| {
            let errors = format!("Traceback\nModuleNotFoundError: No module named '{module}'\n");
            super::cure(&errors, &file, venv.map(Path::new))
        };
        let without = cure("requests.adapters", None).expect("a cure");
        assert!(without.contains("`python3 -m venv .venv`"), "{without}");
        assert!(without.contains("`pip install requests`"), "{without}");
        let with = cure("requests", Some("/venv")).expect("a cure");
        assert!(with.contains("environment /venv: "), "{with}");
        assert!(with.ends_with("`pip install requests`"), "{with}");
        for none in ["own.part", "hotsocket.rooms"] {
            assert_eq!(cure(none, None), None);
        }
        assert_eq!(super::cure("ValueError: x\n", &file, None), None);
    }
}
