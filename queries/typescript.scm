(class_declaration name: (type_identifier) @class.name) @class
(abstract_class_declaration name: (type_identifier) @class.name) @class
(interface_declaration name: (type_identifier) @class.name) @class
(enum_declaration name: (identifier) @class.name) @class
(extends_clause value: [(identifier) (member_expression)] @base)
(implements_clause [(type_identifier) (nested_type_identifier)] @base)
(implements_clause (generic_type name: (_) @base))
(extends_type_clause type: [(type_identifier) (nested_type_identifier)] @base)
(public_field_definition
  name: (property_identifier) @function.name
  value: [(arrow_function) (function_expression)]) @function
