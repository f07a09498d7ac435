(function_declaration name: (identifier) @function.name) @function
(method_declaration name: (field_identifier) @function.name) @function
(method_declaration receiver: (parameter_list (parameter_declaration
  type: [(type_identifier) @owner
         (pointer_type (type_identifier) @owner)
         (generic_type type: (type_identifier) @owner)
         (pointer_type (generic_type type: (type_identifier) @owner))])))
(type_spec name: (type_identifier) @class.name) @class
(type_spec type: (struct_type (field_declaration_list (field_declaration
  !name type: [(type_identifier) (qualified_type)] @base))))
(import_spec) @import
(source_file (var_declaration (var_spec name: (identifier) @variable)))
(source_file (const_declaration (const_spec name: (identifier) @variable)))
(call_expression function: [(identifier) (selector_expression)] @call)
