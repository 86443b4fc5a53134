// The JavaScript and the CSS that no compiler reads: of the widgets, their tests, and the extension's style.
import css from '@eslint/css';
import js from '@eslint/js';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const scripts = ['**/*.js', '**/*.mjs'];

export default tseslint.config(
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: scripts,
    extends: [js.configs.recommended, tseslint.configs.recommended],
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      curly: ['error', 'multi-line'],
      eqeqeq: 'error'
    }
  },
  { files: ['**/widgets/**/*.js'], languageOptions: { globals: globals.browser } },
  { files: ['**/*.mjs'], languageOptions: { globals: globals.node } },
  {
    files: ['**/*.css'],
    plugins: { css },
    language: 'css/css',
    extends: [css.configs.recommended],
    rules: {
      // Colours come from the page, from frontend.py and from other files; tests/widgets/panel knows them.
      'css/no-invalid-properties': ['error', { allowUnknownVariables: true }],
      // Each only refines: without it, controls have the browser's own colour and width.
      'css/use-baseline': ['error', { allowProperties: ['accent-color', 'field-sizing', 'forced-color-adjust'] }]
    }
  }
);
