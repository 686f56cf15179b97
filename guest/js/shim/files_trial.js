// Stands in for `files.js` when `build` runs the script's top level once.
export const directories = () => [];
