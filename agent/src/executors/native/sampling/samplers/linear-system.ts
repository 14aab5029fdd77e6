/** Small dense linear systems, for the weights of multistep methods. */

/**
 * Solves matrix x = right by elimination with partial pivoting.
 * @param matrix rows of a square, non-singular matrix.
 */
export function solveLinearSystem(
  matrix: readonly (readonly number[])[],
  right: readonly number[],
): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] as number])
  const at = (row: number, column: number) => rows[row]?.[column] as number
  const size = rows.length
  for (let column = 0; column < size; column++) {
    let pivot = column
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(at(row, column)) > Math.abs(at(pivot, column))) pivot = row
    }
    const [a, b] = [rows[column], rows[pivot]]
    rows[column] = b as number[]
    rows[pivot] = a as number[]
    for (let row = column + 1; row < size; row++) {
      const factor = at(row, column) / at(column, column)
      rows[row] = (rows[row] as number[]).map((value, k) => value - factor * at(column, k))
    }
  }
  const solution = new Array<number>(size).fill(0)
  for (let row = size - 1; row >= 0; row--) {
    let rest = at(row, size)
    for (let k = row + 1; k < size; k++) rest -= at(row, k) * (solution[k] as number)
    solution[row] = rest / at(row, row)
  }
  return solution
}
