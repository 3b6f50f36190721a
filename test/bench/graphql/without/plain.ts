/** What stands before a record that is not sealed; the database's own check wants sealed values to begin like this. */
export const plainMark = 'v1|plain|'
