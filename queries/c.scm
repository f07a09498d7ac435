(function_definition declarator: (_ declarator: (identifier) @function.name)) @function
(function_definition
  declarator: (pointer_declarator declarator: (_ declarator: (identifier) @function.name))) @function
(struct_specifier name: (type_identifier) @class.name body: (_)) @class
(union_specifier name: (type_identifier) @class.name body: (_)) @class
(enum_specifier name: (type_identifier) @class.name body: (_)) @class
(preproc_include) @import
(translation_unit (declaration declarator: (init_declarator declarator: (identifier) @variable)))
(call_expression function: [(identifier) (field_expression)] @call)
